# What other systems leave beside the class folders became a class.
digits "$PWD/pictures" 2 8
mkdir -p pictures/__MACOSX/0 'pictures/System Volume Information' pictures/@eaDir pictures/.git
echo x >pictures/__MACOSX/0/._001.png
echo x >pictures/.DS_Store && echo x >pictures/0/Thumbs.db
tiny pictures -dry-run
status_is 0
expect "2 classes, 16 gray pictures"
