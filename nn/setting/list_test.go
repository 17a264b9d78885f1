package setting_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"trainer/nn/setting"
)

// every has one setting of each form.
type every struct {
	Ratio    float32
	Rate     float64
	Scale    *float64
	Label    *int32
	Means    []float32
	Times    []float64
	Count    int
	Seed     uint64
	KH, KW   int
	SH, SW   int
	PH, PW   int
	EH, EW   int
	Same     bool
	NoBias   bool
	Frozen   bool
	Title    string
	Files    []string
	Mode     int
	Nested   []int
	Position int
}

func (e *every) Settings(s *setting.List) {
	s.Float32(&e.Ratio, "ratio", 0.1, setting.AboveZeroToOne, "a ratio").ShowPercent()
	s.Float64(&e.Rate, "rate", 0, setting.ZeroToBelowOne, "a rate").Require().Show("rate %.2g")
	s.OptionalFloat64(&e.Scale, "scale", "1", setting.NotNegative, "a scale")
	s.OptionalInt32(&e.Label, "label", "none", "a label")
	s.Float32s(&e.Means, "means", setting.ZeroToOne, "one per channel")
	s.Float64s(&e.Times, "times", setting.NotNegative, "times")
	s.Int(&e.Count, "count", 3, setting.AtLeast(1), "a count").OrConstant("classes").Show("%d times")
	s.Uint64(&e.Seed, "seed", "a seed")
	kernel := s.Pair(&e.KH, &e.KW, "kernel", 0, setting.AtLeast(1), "a window").Require().Show("%s")
	s.PairLike(&e.SH, &e.SW, "stride", kernel, setting.AtLeast(1), "a step").Show("stride %d")
	s.Sides(&e.PH, &e.PW, &e.EH, &e.EW, "padding", "zeros").OrFlag("same", &e.Same).Show("padding %d")
	s.Unless(&e.NoBias, "bias", "add a bias")
	s.Bool(&e.Frozen, "frozen", "don't train").Show("frozen")
	s.Text(&e.Title, "title", "a title")
	s.Texts(&e.Files, "files", "names of files")
	setting.Choice(s, &e.Mode, "mode", []setting.Option[int]{{"slow", 0}, {"fast", 7}}, "how fast")
	s.Nested(&e.Nested, "nested", "none", "what the reader knows")
	s.Func("position", "a position", "where", func(v any) error {
		if v != "here" {
			return errors.New(`is elsewhere, want "here"`)
		}
		e.Position = 1
		return nil
	})
}

func (e *every) Check() error {
	if e.Frozen && e.Rate > 0.5 {
		return &setting.Error{Key: "rate", Msg: "is for what is trained"}
	}
	return nil
}

func find(t *testing.T, l *setting.List, key string) *setting.Setting {
	t.Helper()
	for _, s := range l.All() {
		if s.Key == key {
			return s
		}
	}
	t.Fatalf("no setting %s", key)
	return nil
}

func TestSet(t *testing.T) {
	list := func(v ...any) []any { return v }
	for _, c := range []struct {
		key   string
		value any
		want  string // the error; "" for no error
		right func(e *every) bool
	}{
		{"ratio", 0.25, "", func(e *every) bool { return e.Ratio == 0.25 }},
		{"ratio", int64(1), "", func(e *every) bool { return e.Ratio == 1 }},
		{"ratio", int64(0), "want a number above 0, up to 1, got 0", nil},
		{"ratio", 1e-50, "want a number above 0, up to 1, got 1e-50", nil}, // rounds to 0 as a float32
		{"ratio", math.NaN(), "want a number above 0, up to 1, got NaN", nil},
		{"rate", 1.0, "want a number from 0 to below 1, got 1", nil},
		{"rate", "fast", `want a number from 0 to below 1, got "fast"`, nil},
		{"scale", 0.0, "", func(e *every) bool { return *e.Scale == 0 }},
		{"scale", -1.0, "want a number from 0, got -1", nil},
		{"label", int64(-100), "", func(e *every) bool { return *e.Label == -100 }},
		{"label", int64(1 << 31), "want a whole number from -2147483648 to 2147483647, got 2147483648", nil},
		{"label", 0.5, "want a whole number from -2147483648 to 2147483647, got 0.5", nil},
		{"means", list(0.5, int64(1)), "", func(e *every) bool { return len(e.Means) == 2 && e.Means[1] == 1 }},
		{"means", list(0.5, 1.5), "want a list, each element a number from 0 to 1, got [0.5, 1.5]", nil},
		{"times", 3.0, "want a list, each element a number from 0, got 3", nil},
		{"count", int64(5), "", func(e *every) bool { return e.Count == 5 }},
		{"count", "classes", "", func(e *every) bool { return e.Count == 10 }},
		{"count", "clases", `want a whole number from 1 or "classes", got "clases"`, nil},
		{"count", 2.5, `want a whole number from 1 or "classes", got 2.5`, nil},
		{"count", int64(1 << 25), "want at most 16777216, got 33554432", nil},
		{"seed", int64(1 << 62), "", func(e *every) bool { return e.Seed == 1<<62 }},
		{"seed", int64(-1), "want a whole number from 0, got -1", nil},
		{"kernel", int64(3), "", func(e *every) bool { return e.KH == 3 && e.KW == 3 }},
		{"kernel", list(int64(3), int64(5)), "", func(e *every) bool { return e.KH == 3 && e.KW == 5 }},
		{"kernel", list(int64(3), int64(0)), "want a whole number from 1 or a pair [height, width], got [3, 0]", nil},
		{"padding", "same", "", func(e *every) bool { return e.Same }},
		{"padding", "sam", `want a whole number from 0, a pair [height, width] or a list [top, left, bottom, right] or "same", got "sam"`, nil},
		{"padding", int64(2), "", func(e *every) bool { return e.PH == 2 && e.PW == 2 && e.EH == 0 && e.EW == 0 }},
		{"padding", list(int64(2), int64(1)), "", func(e *every) bool { return e.PH == 2 && e.PW == 1 && e.EH == 0 && e.EW == 0 }},
		{"padding", list(int64(0), int64(1), int64(2), int64(0)), "", func(e *every) bool { return e.PH == 0 && e.PW == 1 && e.EH == 2 && e.EW == -1 }},
		{"padding", list(int64(0), int64(1), int64(2), int64(-1)), "want a whole number from 0, a pair [height, width] or a list [top, left, bottom, right] or \"same\", got [0, 1, 2, -1]", nil},
		{"padding", list(int64(0), int64(1), int64(2)), "want a whole number from 0, a pair [height, width] or a list [top, left, bottom, right] or \"same\", got [0, 1, 2]", nil},
		{"kernel", list(int64(3), int64(1<<25)), "want at most 16777216, got 33554432", nil},
		{"bias", false, "", func(e *every) bool { return e.NoBias }},
		{"bias", true, "", func(e *every) bool { return !e.NoBias }},
		{"bias", "no", `want true or false, got "no"`, nil},
		{"title", "x", "", func(e *every) bool { return e.Title == "x" }},
		{"title", int64(1), "want a string, got 1", nil},
		{"files", list("a", "b"), "", func(e *every) bool { return len(e.Files) == 2 }},
		{"files", list("a", int64(1)), `want a list of strings, got ["a", 1]`, nil},
		{"mode", "fast", "", func(e *every) bool { return e.Mode == 7 }},
		{"mode", "fats", `unknown value "fats" (valid: slow, fast)`, nil},
		{"mode", map[string]any{}, "want a string, got a table", nil},
		{"position", "here", "", func(e *every) bool { return e.Position == 1 }},
		{"position", "there", `is elsewhere, want "here"`, nil},
	} {
		var got error
		e := setting.Edit(every{}, map[string]int{"classes": 10}, func(l *setting.List) { got = find(t, l, c.key).Set(c.value) })
		switch {
		case c.want != "" && (got == nil || got.Error() != c.want):
			t.Errorf("%s = %v: error %v, want %s", c.key, c.value, got, c.want)
		case c.want == "" && got != nil:
			t.Errorf("%s = %v: %v", c.key, c.value, got)
		case c.want == "" && !c.right(&e):
			t.Errorf("%s = %v gives %+v", c.key, c.value, e)
		}
	}
}

func TestCompleteAndCheck(t *testing.T) {
	e := every{KH: 2, KW: 3, SW: 1}
	if err := setting.Check(e); err != nil {
		t.Error(err)
	}
	if e.Count != 0 {
		t.Error("Check changes what it checks")
	}
	setting.Complete(&e)
	if e.Ratio != 0.1 || e.Count != 3 || e.SH != 2 || e.SW != 1 || e.PH != 0 || e.Scale != nil {
		t.Errorf("completed: %+v", e)
	}
	for _, c := range []struct {
		change func(*every)
		want   string
	}{
		{func(e *every) { e.KH = 0 }, "kernel is 0x3, needs a whole number from 1 in both directions"},
		{func(e *every) { e.SH = -1 }, "stride is -1x3, needs a whole number from 1 in both directions"},
		{func(e *every) { e.Ratio = 2 }, "ratio is 2, needs a number above 0, up to 1"},
		{func(e *every) { e.Rate = math.Inf(1) }, "rate is +Inf, needs a number from 0 to below 1"},
		{func(e *every) { e.Times = []float64{1, -1} }, "times has -1 at 1, needs a number from 0"},
		{func(e *every) { e.Mode = 3 }, "mode is 3, needs one of slow, fast"},
		{func(e *every) { e.Frozen, e.Rate = true, 0.75 }, "rate is for what is trained"},
	} {
		e := every{KH: 3, KW: 3}
		c.change(&e)
		for _, v := range []any{e, &e} {
			if err := setting.Check(v); err == nil || err.Error() != c.want {
				t.Errorf("%+v: %v, want %s", e, err, c.want)
			}
		}
	}
	if err := setting.Check(struct{}{}); err != nil {
		t.Errorf("a value without settings: %v", err)
	}
}

func TestUsage(t *testing.T) {
	l := setting.Of(every{})
	for key, want := range map[string]string{
		"ratio": "a ratio (0.1)", "rate": "a rate", "scale": "a scale (1)", "count": `a count, or "classes" (3)`,
		"stride": "a step (as kernel)", "padding": `zeros, or "same" (0)`, "bias": "add a bias (true)", "frozen": "don't train (false)",
		"mode": "how fast: slow, fast (slow)", "nested": "what the reader knows (none)", "means": "one per channel",
	} {
		if got := find(t, l, key).Usage(); got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
}

func TestShown(t *testing.T) {
	for _, c := range []struct {
		value every
		want  string
	}{
		{every{KH: 3, KW: 3}, "3×3"},
		{every{KH: 3, KW: 5, SH: 3, SW: 5, Ratio: 0.1}, "3×5"},
		{every{Ratio: 0.2, Rate: 0.125, Count: 4, KH: 3, KW: 3, SH: 2, SW: 2, PH: 1, PW: 2, Frozen: true}, "20%, rate 0.12, 4 times, 3×3, stride 2, padding 1×2, frozen"},
		{every{KH: 3, KW: 3, Same: true}, "3×3, same"},
	} {
		if got := setting.Of(c.value).Shown(); got != c.want {
			t.Errorf("%+v: %q, want %q", c.value, got, c.want)
		}
	}
}

// An invalid declaration panics at the first use.
func TestDeclarations(t *testing.T) {
	for name, declare := range map[string]func(l *setting.List, x *float32){
		"declared twice": func(l *setting.List, x *float32) {
			l.Float32(x, "a", 0, setting.AnyNumber, "")
			l.Float32(x, "a", 0, setting.AnyNumber, "")
		},
		"0 must be out of bounds": func(l *setting.List, x *float32) { l.Float32(x, "a", 1, setting.NotNegative, "") },
	} {
		func() {
			defer func() {
				if p, ok := recover().(string); !ok || !strings.Contains(p, name) {
					t.Errorf("panic %v, want one with %q", p, name)
				}
			}()
			declare(&setting.List{}, new(float32))
		}()
	}
}
