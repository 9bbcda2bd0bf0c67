"""Labelled data sets: what is asked for, the jobs that follow from it, the engines that run them, and the folder."""
