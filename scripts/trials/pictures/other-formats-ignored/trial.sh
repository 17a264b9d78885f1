# Pictures in other formats than PNG and JPEG were passed over without a word.
cp -r "$INPUT/pictures" . && chmod -R u+w pictures
mv pictures/dog/05.webp pictures/dog/05.jpg # the content decides
printf '\0\0\0\x18ftypheic\0\0\0\0' >pictures/dog/photo.heic
tiny pictures
status_is 0
expect "10 colour pictures"
expect "not read: 1 heic"
refuse "skipped"
