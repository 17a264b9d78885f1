//go:build unix

package bounded

import (
	"net"
	"path/filepath"
	"syscall"
	"testing"
)

// specialFiles returns a pipe, a socket and an endless device.
func specialFiles(t *testing.T) []string {
	folder := t.TempDir()
	pipe, socket := filepath.Join(folder, "pipe"), filepath.Join(folder, "socket")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return []string{pipe, socket, "/dev/zero", "/dev/null"}
}
