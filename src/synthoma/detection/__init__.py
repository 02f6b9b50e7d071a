"""From a scan to tumour probability, mask, size, place, overlay and DICOM SEG."""
