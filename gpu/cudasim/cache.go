package cudasim

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

// keep is how long a cached build that nobody uses stays.
const keep = 30 * 24 * time.Hour

// cache is a folder of builds in the user's cache folder, each in a folder of its own, named by what
// it is and by a hash of what it was made from.
type cache struct{ root string }

func openCache() (cache, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		base = os.TempDir()
	}
	c := cache{filepath.Join(base, "trainer", "cudasim")}
	return c, os.MkdirAll(c.root, 0o777)
}

// get returns the folder of a build, which fill makes if it is not there. It appears under its name
// when it is complete. A lock keeps test programs that run side by side from making it twice.
func (c cache) get(kind, key string, fill func(dir string) error) (string, error) {
	dir := filepath.Join(c.root, kind+"-"+key)
	lock := flock.New(dir + ".lock")
	if err := lock.Lock(); err != nil {
		return "", fmt.Errorf("locking %s: %w", dir, err)
	}
	defer lock.Unlock()
	if _, err := os.Stat(dir); err == nil {
		now := time.Now()
		return dir, os.Chtimes(dir, now, now)
	}
	work, err := os.MkdirTemp(c.root, "new-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	if err := fill(work); err != nil {
		return "", err
	}
	c.prune()
	return dir, os.Rename(work, dir)
}

// prune removes builds that were not used for a while. What cannot be removed stays.
func (c cache) prune() {
	entries, err := os.ReadDir(c.root)
	if err != nil {
		return
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && e.IsDir() && time.Since(info.ModTime()) > keep {
			os.RemoveAll(filepath.Join(c.root, e.Name()))
		}
	}
}
