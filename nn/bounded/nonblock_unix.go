//go:build unix

package bounded

import "syscall"

// nonBlocking keeps the opening of a pipe from waiting for its other end. On a regular file it has no effect.
const nonBlocking = syscall.O_NONBLOCK
