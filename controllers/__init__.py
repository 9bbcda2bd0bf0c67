"""What runs on the exo's computer: device interface, assistance laws, safety and the stack."""
