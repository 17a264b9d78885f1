//go:build !linux

package guard

import "testing"

// between returns ordinary memory: accesses beyond its edges don't fault.
func between(_ testing.TB, bytes int) []byte { return make([]byte, bytes) }
