"""What people say who look: a blinded set of real and synthetic pictures, their answers, and what these are worth."""
