package command

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"trainer/cpu"
	"trainer/nn/device"
)

// toy is a device of a kind that the program has never heard of: the CPU under another name.
type toy struct {
	device.Device
	name      string
	precision device.Precision
}

func (t toy) Name() string { return t.name }

func (t toy) Info() device.Info { return device.Info{Description: "a toy"} }

func (t toy) Precision() device.Precision { return t.precision }

// toyKind is its kind. Of its devices, numbers 0 to 2, only number 1 works; it can be opened as TF32, but not as FP16.
func toyKind() device.Kind {
	return device.Kind{
		Name: "toy", Doc: "plaything", Numbered: true,
		Precisions: []device.Precision{device.FP32, device.TF32, device.FP16},
		Refused:    map[string]string{"autotune": "toys have no algorithms"},
		Open: func(index int, o device.Options) (device.Device, error) {
			name := fmt.Sprintf("toy:%d", index)
			switch {
			case index == 0:
				return nil, &device.Error{Device: name, Op: "opening", Err: device.ErrLost}
			case index > 2:
				return nil, &device.Error{Device: name, Op: "opening", Err: device.ErrNoDevice}
			case o.Precision == device.FP16:
				return nil, &device.Error{Device: name, Op: "opening", Err: fmt.Errorf("16 bits: %w", device.ErrNotSupported)}
			case o.Precision == device.Auto:
				o.Precision = device.FP32
			}
			dev, err := cpu.New(cpu.WithThreads(1))
			return toy{dev, name, o.Precision}, err
		},
		Describe: func(device.Options) (string, error) { return "in the toy box", nil },
		Remedy: func(err error) string {
			return "wind it up"
		},
		Advice: "ask a child",
	}
}

// Adding a device costs its package and one line in the list: every command takes it from there.
func TestADeviceIsOneLine(t *testing.T) {
	workplace(t)
	folder := []string{"-data", "pictures", "-recipe", "small.toml"}
	dry := func(flags ...string) []string { return slices.Concat(folder, []string{"-dry-run"}, flags) }
	for _, c := range []struct {
		args   []string
		status int
		want   string // in stdout, or in stderr if the status isn't 0
	}{
		{[]string{"-h"}, exitOK, "device: toy or toy:N (plaything), cpu (processor), or auto"},
		{[]string{"version"}, exitOK, "\ntoy     in the toy box\n"},
		{[]string{"-list"}, exitOK, "\n  toy  device lost\n"},
		{dry("-device", "toy:1"), exitOK, " on toy:1 (a toy, fp32)\n"},
		{dry("-device", "toy:1", "-precision", "tf32"), exitOK, " on toy:1 (a toy, tf32)\n"},
		{dry("-device", "toy:1", "-set", "precision=tf32"), exitOK, " on toy:1 (a toy, tf32)\n"},
		{dry("-device", "toy:1", "-set", "precision=fp16"), exitOK, " on toy:1 (a toy, fp32)\n"},
		{dry("-device", "auto", "-precision", "tf32"), exitOK, " on toy:1 (a toy, tf32)\n"},
		{dry("-device", "auto", "-autotune"), exitUsage, "-autotune: the CPU has no algorithms to time, and -device auto found no other device (toy: -autotune: toys have no algorithms)\n"},
		{dry("-device", "toy:1", "-autotune"), exitUsage, "-autotune: toys have no algorithms; use -device cpu\n"},
		{dry("-device", "toy:1", "-precision", "bf16"), exitUsage, "-precision bf16: device toy computes in fp32, tf32, fp16 only; use -device cpu\n"},
		{dry("-device", "toy:1", "-precision", "fp16"), exitEnvironment, "-device toy:1: 16 bits: not supported by the device; wind it up (ask a child, or pass -device cpu)\n"},
		{dry("-device", "toy"), exitEnvironment, "-device toy: device lost; wind it up (ask a child, or pass -device cpu)\n"},
		{dry("-device", "toy:x"), exitUsage, "-device toy:x: want auto, toy, toy:N or cpu\n"},
		{dry("-device", "toi"), exitUsage, `unknown device "toi", did you mean toy? (valid: auto, toy, cpu)`},
		{slices.Concat(folder, []string{"-device", "toy:1", "-out", "run", "-quiet"}), exitOK, "test accuracy "},
		{[]string{"-resume", "run", "-quiet"}, exitOK, "test accuracy "},
	} {
		var stdout, stderr bytes.Buffer
		p := testProgram()
		p.Devices = []device.Kind{toyKind(), cpu.Kind()} // no cuda: a machine may have one
		p.stdout, p.stderr, p.now = &stdout, &stderr, time.Now
		status := run(t.Context(), p, c.args)
		got := stdout.String()
		if c.status != exitOK {
			got = stderr.String()
		}
		if status != c.status || !strings.Contains(got, c.want) {
			t.Errorf("%q: status %d, want %d; want %q in\n%s%s", c.args, status, c.status, c.want, stdout.String(), stderr.String())
		}
	}
	if config := read(t, "run/config.toml"); !strings.Contains(config, "device = 'toy:1'") {
		t.Errorf("the configuration\n%s", config)
	}
}
