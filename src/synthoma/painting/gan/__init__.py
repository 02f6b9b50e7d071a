"""The painter "gan": a network that paints a tumour's pixels, told by those who judge its work what real ones are."""
