//go:build unix

package command

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
)

// socketPair returns two sockets that are connected with each other: one for this process, one to pass to another.
func socketPair() (own net.Conn, its *os.File, err error) {
	syscall.ForkLock.RLock()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fds[0])
		syscall.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, fmt.Errorf("connecting two processes: %w", err)
	}
	file := os.NewFile(uintptr(fds[0]), "rank")
	defer file.Close()
	its = os.NewFile(uintptr(fds[1]), "rank 0")
	if own, err = net.FileConn(file); err != nil {
		its.Close()
		return nil, nil, err
	}
	return own, its, nil
}

// detach keeps the signals of the terminal from a rank: rank 0 gets them, and all stop after the same step.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// describeEnd says how a process has ended.
func describeEnd(state *os.ProcessState) string {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return fmt.Sprintf("its process was ended by signal %d (%v)", status.Signal(), status.Signal())
	}
	return fmt.Sprintf("its process has ended with status %d", state.ExitCode())
}
