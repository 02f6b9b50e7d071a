"""Copies of training images among others: of a whole image, of a blend of two, of a part of one."""
