package cudasim

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

// keep is how long an unused build stays in the cache.
const keep = 30 * 24 * time.Hour

// cache is a folder in the user's cache folder that holds builds. Each build has its own folder,
// whose name contains what it is and a hash of its inputs.
type cache struct{ root string }

// userCache is the user's cache folder as the environment names it at the start: tests of the program give it a folder of its own,
// in which everything would be compiled anew.
var userCache, errUserCache = os.UserCacheDir()

func openCache() (cache, error) {
	base, err := userCache, errUserCache
	if err != nil {
		base = os.TempDir()
	}
	c := cache{filepath.Join(base, "trainer", "cudasim")}
	return c, os.MkdirAll(c.root, 0o777)
}

// get returns the folder of a build; if it is missing, fill creates it. The folder gets its name
// only when it is complete. A lock keeps test programs that run at the same time from building it
// twice.
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

// prune removes builds that were not used for a while. Builds that cannot be removed stay.
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
