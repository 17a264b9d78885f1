# Training and Testing were taken for classes.
digits "$PWD/pictures" 2 6 Training VALID Testing
tiny pictures
status_is 0
expect "2 classes, 36 gray pictures"
expect "/12)"
