"""Archives and scanners: studies fetched from a PACS or sent by it, and what was found in them sent back.

``web`` speaks DICOMweb (PS3.18), ``node`` the older network protocol (PS3.7 and PS3.8); ``inbox`` knows which studies
are complete, ``listen`` looks at them one by one, ``audit`` says what happened without saying to whom.
"""
