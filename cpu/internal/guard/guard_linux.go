package guard

import (
	"os"
	"syscall"
	"testing"
)

// between maps this many bytes, rounded up to whole pages, between two pages without
// access.
func between(t testing.TB, bytes int) []byte {
	t.Helper()
	page := os.Getpagesize()
	size := (bytes + page - 1) / page * page
	all, err := syscall.Mmap(-1, 0, size+2*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatalf("mapping %d bytes: %v", size+2*page, err)
	}
	t.Cleanup(func() {
		if err := syscall.Munmap(all); err != nil {
			t.Error(err)
		}
	})
	for _, edge := range [][]byte{all[:page], all[page+size:]} {
		if err := syscall.Mprotect(edge, syscall.PROT_NONE); err != nil {
			t.Fatalf("protecting a page: %v", err)
		}
	}
	return all[page : page+size]
}
