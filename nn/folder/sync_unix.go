//go:build unix

package folder

import "os"

// syncDir makes new names durable: on Unix a rename changes the folder's contents.
func syncDir(root *os.Root) error {
	d, err := root.Open(".")
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
