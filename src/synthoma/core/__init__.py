"""Errors, types, seeds, settings, outputs that are whole or not there: what every other room stands on."""
