"""Which synthetic cases are worth making: what training patients lack, what a plan orders, what it may give."""
