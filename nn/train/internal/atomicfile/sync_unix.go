//go:build unix

package atomicfile

import "os"

// syncDir makes the new name last: on unix a rename is part of the folder's contents.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
