# Photographs that a camera marks as lying on their side were read lying on their side.
tiny "$INPUT/pictures" -dry-run
status_is 0
expect "turned upright"
tiny "$INPUT/pictures" -dry-run -set data.orientation=ignore
status_is 0
refuse "turned upright"
