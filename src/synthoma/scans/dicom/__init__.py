"""DICOM: which files make a series, their pixels, and masks that come as SEG or RTSTRUCT."""
