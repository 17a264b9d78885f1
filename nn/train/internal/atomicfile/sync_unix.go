//go:build unix

package atomicfile

import "os"

// syncDir makes the new name durable: on Unix a rename changes the folder's contents.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
