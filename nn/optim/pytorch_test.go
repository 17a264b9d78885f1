package optim_test

import (
	"testing"

	"trainer/cpu"
	"trainer/nn/optim/optimtest"
)

func TestSchedulesAgainstPyTorch(t *testing.T) { optimtest.Schedules(t) }

func TestRulesAgainstPyTorch(t *testing.T) {
	dev, err := cpu.New(cpu.WithThreads(2))
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	optimtest.Rules(t, dev)
}
