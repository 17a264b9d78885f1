package report

import (
	"errors"
	"os"
	"syscall"
	"testing"

	"trainer/nn/train"
)

func TestFullDiskIsAnError(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	f := &Folder{metrics: full}
	if err := f.AddMetrics(train.EpochMetrics{}); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("error %v, want ENOSPC", err)
	}
}
