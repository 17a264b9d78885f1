package command

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"trainer/gpu"
)

// stepVariable makes the test's own binary a step of trainer doctor that goes wrong in some way.
const stepVariable = "TRAINER_TEST_STEP"

// pretendStep is such a step.
func pretendStep(way string) {
	fmt.Println("a library's chatter, without an end", strings.Repeat(".", 100_000))
	fmt.Println(`{"doing":"convolving","gpu":{"index":1,"name":"of the test"}}`)
	switch way {
	case "crash":
		self, err := os.FindProcess(os.Getpid())
		if err == nil {
			err = self.Signal(syscall.SIGSEGV)
		}
		time.Sleep(time.Minute) // the signal comes first
		fmt.Println(err)
	case "abort":
		fmt.Fprintln(os.Stderr, "free(): invalid pointer\nand more")
		os.Exit(3)
	case "hang":
		time.Sleep(time.Minute)
	case "done":
		fmt.Println(`{"doing":"","gpu":{"index":1,"name":"of the test","usable":true}}`)
	}
	os.Exit(3)
}

func testStep(t *testing.T, way string) (stepReport, *stepFailure) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(stepVariable, way)
	limit := 30 * time.Second
	if way == "hang" {
		limit = time.Second
	}
	return (&program{Config: config(), executable: self}).takeStep(t.Context(), limit, "examine", "1")
}

func TestStepThatGoesWrongIsALine(t *testing.T) {
	for way, want := range map[string]string{
		"crash":  "convolving crashed: SIGSEGV: segmentation violation",
		"abort":  "convolving crashed: free(): invalid pointer (exit status 3)",
		"silent": "convolving crashed: exit status 3",
		"hang":   "convolving took longer than 1s",
	} {
		start := time.Now()
		last, failure := testStep(t, way)
		if failure == nil || failure.reason != want || failure.remedy == "" {
			t.Errorf("%s: %+v, want %s", way, failure, want)
		}
		if last.GPU == nil || last.GPU.Index != 1 || last.GPU.Name != "of the test" {
			t.Errorf("%s: %+v was known", way, last.GPU)
		}
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("%s: it took %v", way, took)
		}
	}
	if last, failure := testStep(t, "done"); failure != nil || !last.GPU.Usable {
		t.Errorf("a step that has a result: %+v, %+v", last, failure)
	}
	_, failure := (&program{Config: config(), executable: "nowhere/trainer"}).takeStep(t.Context(), time.Second, "survey")
	if failure == nil || !strings.HasPrefix(failure.reason, "starting nowhere/trainer again: ") {
		t.Errorf("a program that isn't there: %+v", failure)
	}
}

// The step's process, called by hand.
func TestStepCommand(t *testing.T) {
	for _, args := range [][]string{{stepName}, {stepName, "examine"}, {stepName, "examine", "first"}, {stepName, "survey", "0"}} {
		got := trainer(t, args...)
		if got.status != exitUsage || got.stdout != "" || got.stderr != "trainer: doctor-step is internal to trainer doctor\n" {
			t.Errorf("%v: %+v", args, got)
		}
	}
	if gpu.Built {
		return
	}
	got := trainer(t, stepName, "examine", "2")
	want := `{"doing":"","gpu":{"index":2,`
	if got.status != exitOK || !strings.HasPrefix(got.stdout, want) || !strings.Contains(got.stdout, "this build has no CUDA device") {
		t.Errorf("%+v", got)
	}
}
