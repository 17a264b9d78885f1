package folder

import (
	"errors"
	"fmt"

	"github.com/gofrs/flock"
)

// LockFile is the name of the file that Lock locks. It stays in the folder, empty.
const LockFile = ".lock"

// ErrLocked is a folder that another process has locked.
var ErrLocked = errors.New("another process is using it")

// Lock keeps other processes from locking the folder, until unlock is called or this process ends, however it ends. If
// another process has the lock, the error is ErrLocked. On a file system without locks, Lock does nothing.
func (f *Folder) Lock() (unlock func() error, err error) {
	// The library opens the file by its path, and would follow a link.
	file, err := f.Update(LockFile)
	if err != nil {
		return nil, err
	}
	if err := file.Close(); err != nil {
		return nil, err
	}
	lock := flock.New(f.File(LockFile))
	switch got, err := lock.TryLock(); {
	case errors.Is(err, errors.ErrUnsupported):
		return func() error { return nil }, nil
	case err != nil:
		return nil, fmt.Errorf("locking %s: %w", f.Path(), err)
	case !got:
		return nil, fmt.Errorf("%s: %w", f.Path(), ErrLocked)
	}
	return lock.Close, nil
}

// Locked reports whether another process has locked the folder. It looks by locking the folder itself for a moment, and
// makes no file in a folder that was never locked.
func (f *Folder) Locked() bool {
	if !f.Has(LockFile) {
		return false
	}
	unlock, err := f.Lock()
	if err == nil {
		_ = unlock()
	}
	return errors.Is(err, ErrLocked)
}
