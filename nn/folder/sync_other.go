//go:build !unix

package folder

import "os"

// syncDir does nothing: folders can't be synced here.
func syncDir(*os.Root) error { return nil }
