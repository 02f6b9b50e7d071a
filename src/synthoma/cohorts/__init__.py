"""What is learned from: labelled slices, how scans become them, who is held out, and copies among them."""
