//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"testing"

	"trainer/nn/optim/optimtest"
)

// TestRulesAgainstPyTorch takes steps of every rule, fused and composed, and compares with PyTorch's in float64.
func TestRulesAgainstPyTorch(t *testing.T) { optimtest.Rules(t, anyDevice(t)) }
