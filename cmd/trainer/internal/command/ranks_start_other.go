//go:build !unix

package command

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
)

// socketPair returns an error: only Unix passes connected sockets to another process.
func socketPair() (net.Conn, *os.File, error) {
	return nil, nil, fmt.Errorf("-gpus on this system: %w", errors.ErrUnsupported)
}

func detach(*exec.Cmd) {}

func describeEnd(state *os.ProcessState) string {
	return fmt.Sprintf("its process has ended with status %d", state.ExitCode())
}
