package command

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
)

// TestPlan plans from the figures of a GPU and of a CPU.
func TestPlan(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "gpu.json", `{"event":"machine","gpu":"NVIDIA H100","device":"cuda:0"}
{"event":"recipe","name":"mnist","batch":1000,"images_per_second":1000000}
{"event":"recipe","name":"cifar10-basic","batch":500,"images_per_second":50000}
`)
	out := trainer(t, "plan", "-bench", "gpu.json", "-recipe", "cifar10-basic", "-gpus", "48", "-link", "100Gb", "-json")
	if out.status != 0 {
		t.Fatal(out.stderr)
	}
	var rows []planRow
	for line := range strings.Lines(out.stdout) {
		var r planRow
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, r)
	}
	if len(rows) != 12 || rows[6].Devices != 48 || rows[6].Batch != 24000 || rows[11].Devices != 1024 {
		t.Errorf("rows %+v, want 1 to 1,024 and 48", rows)
	}
	if r := rows[0]; math.Abs(r.StepSeconds-0.01) > 1e-9 || r.Efficiency != 1 || r.SentBytes != 0 || math.Abs(r.EpochSeconds-1) > 1e-9 {
		t.Errorf("one device: %+v, want steps of 10 ms", r)
	}
	for i, r := range rows[1:] {
		if r.Efficiency >= rows[i].Efficiency || r.StepSeconds <= rows[i].StepSeconds {
			t.Errorf("%+v after %+v, want a longer step", r, rows[i])
		}
	}
	out = trainer(t, "plan", "-bench", "gpu.json", "-gpus", "16", "-link", "1Gb")
	for _, want := range []string{"mnist on NVIDIA H100", "16 devices train ", "From 2 devices on, more than half", "From 8 devices on, the batch is larger than the 4,096"} {
		if out.status != 0 || !strings.Contains(out.stdout, want) {
			t.Errorf("no %q in:\n%s%s", want, out.stdout, out.stderr)
		}
	}
	fixed := trainer(t, "plan", "-recipe", "mnist", "-images-per-second", "1e5", "-batch", "128", "-fixed-batch")
	if fixed.status != 0 || strings.Contains(fixed.stdout, "\n     256") || !strings.Contains(fixed.stdout, "\n     128       128") {
		t.Errorf("a fixed batch of 128:\n%s%s", fixed.stdout, fixed.stderr)
	}
}

func TestPlanRefuses(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "none.json", `{"event":"machine","cpu":"x"}`+"\n")
	write(t, "text.json", "no JSON\n")
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "plan needs the speed of one device"},
		{[]string{"-images-per-second", "5"}, "pass -recipe, too"},
		{[]string{"-bench", "none.json"}, "it has no speed of a recipe: run trainer bench -json"},
		{[]string{"-bench", "none.json", "-recipe", "mnist"}, "it has no recipe mnist: run trainer bench -json -recipe mnist"},
		{[]string{"-bench", "text.json"}, "line 1 is no line of trainer bench -json"},
		{[]string{"-bench", "absent.json"}, "no such file"},
		{[]string{"-link", "100"}, "want bits per second, such as 100Gb"},
		{[]string{"-link", "xGb"}, "want bits per second, such as 100Gb"},
		{[]string{"more"}, `unexpected argument "more"`},
	} {
		out := trainer(t, append([]string{"plan"}, c.args...)...)
		if out.status != exitUsage || !strings.Contains(out.stderr, c.want) || strings.Count(out.stderr, "\n") != 1 {
			t.Errorf("%v: status %d, %q, want one line with %q", c.args, out.status, out.stderr, c.want)
		}
	}
}

func TestBandwidth(t *testing.T) {
	for text, want := range map[string]float64{"100Gb": 12.5e9, "12.5GB": 12.5e9, "1Mb": 125e3, "800kbit/s": 100e3, "10Gbps": 1.25e9, "900GB/s": 900e9, "0.5TB": 500e9, "80b": 10} {
		var got float64
		if err := bandwidth(&got)(text); err != nil || math.Abs(got-want) > 1e-6*want {
			t.Errorf("%s is %v, %v, want %v", text, got, err, want)
		}
	}
	for _, bad := range []string{"", "Gb", "-1Gb", "0Gb", "1G", "1XB", "1e400Gb", "NaNGb", "1bGb"} {
		var got float64
		if err := bandwidth(&got)(bad); err == nil {
			t.Errorf("%q is %v, want an error", bad, got)
		}
	}
}
