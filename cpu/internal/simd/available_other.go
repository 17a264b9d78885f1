//go:build !amd64 || noasm

package simd

// Available returns the sets that this build and processor have, best first.
func Available() []Set { return []Set{Generic} }
