package tune

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func parse(t *testing.T, assignments ...string) (Space, []string) {
	t.Helper()
	space, fixed, err := Parse(assignments)
	if err != nil {
		t.Fatal(err)
	}
	return space, fixed
}

func TestParse(t *testing.T) {
	for _, c := range []struct {
		assignment string
		want       Dimension
	}{
		{"optimizer.lr=1e-4..1e-1", Dimension{Low: 1e-4, High: 1e-1, Log: true}},
		{"optimizer.lr = 0.1 .. 1", Dimension{Low: 0.1, High: 1, Log: true}},
		{"optimizer.momentum=0.8..0.99", Dimension{Low: 0.8, High: 0.99}},
		{"optimizer.momentum=0..0.99", Dimension{High: 0.99}},
		{"x=-1..1", Dimension{Low: -1, High: 1, Whole: true}},
		{"x=log:1e-3..5e-3", Dimension{Low: 1e-3, High: 5e-3, Log: true}},
		{"network.0.out=linear:8..128", Dimension{Low: 8, High: 128, Whole: true}},
		{"network.0.out=8..128", Dimension{Low: 8, High: 128, Whole: true, Log: true}},
		{"x=1...5e1", Dimension{Low: 1, High: 5}}, // 1 and .5e1
		{"batch=64,128, 256", Dimension{Values: []string{"64", "128", "256"}}},
		{"optimizer.kind=sgd,adam", Dimension{Values: []string{"sgd", "adam"}}},
		{"data.size=[32, 32],[64, 64]", Dimension{Values: []string{"[32, 32]", "[64, 64]"}}},
		{`name="a,b",'c,d'`, Dimension{Values: []string{`"a,b"`, `'c,d'`}}},
		{`x={a = 1, b = "}"},{a = 2}`, Dimension{Values: []string{`{a = 1, b = "}"}`, `{a = 2}`}}},
	} {
		c.want.Key, _, _ = strings.Cut(c.assignment, "=")
		c.want.Key = strings.TrimSpace(c.want.Key)
		space, fixed := parse(t, c.assignment)
		if len(space) != 1 || len(fixed) != 0 {
			t.Errorf("%s: %v and %v", c.assignment, space, fixed)
			continue
		}
		got := space[0]
		if got.Key != c.want.Key || !slices.Equal(got.Values, c.want.Values) || got.Low != c.want.Low || got.High != c.want.High || got.Whole != c.want.Whole || got.Log != c.want.Log {
			t.Errorf("%s: %+v, want %+v", c.assignment, got, c.want)
		}
	}
}

func TestSingleValuesAreNotSearched(t *testing.T) {
	all := []string{"optimizer.momentum=0.8", "epochs=3", "data.size=[32, 32]", "name=../x..y", "x=", "momentum", `y="1..2"`, "epochs=4"}
	if space, fixed := parse(t, all...); len(space) != 0 || !slices.Equal(fixed, all) {
		t.Errorf("%v and %v", space, fixed)
	}
}

func TestBadSpaces(t *testing.T) {
	for assignment, want := range map[string]string{
		"x=1..":         "want two numbers with .. between them, such as 1e-4..1e-1",
		"x=..5":         "want two numbers",
		"x=1..big":      "want two numbers",
		"x=log:5":       "want two numbers",
		"x=1..NaN":      "want two numbers",
		"x=1..Inf":      "want two numbers",
		"x=5..1":        "want the smaller end of the range first",
		"x=5..5":        "two different ends",
		"x=log:0..1":    "a logarithmic range begins above 0, got 0",
		"x=log:-1..1":   "a logarithmic range begins above 0, got -1",
		"x=1,,2":        "the list has an empty value",
		"x=1,":          "the list has an empty value",
		"x=,":           "the list has an empty value",
		"x=64,128,64":   "the list has 64 twice",
		"x=1..2,5":      "1..2 is a range in a list",
		"x=[1,2":        "a bracket or a quote has no counterpart",
		`x="1,2`:        "a bracket or a quote has no counterpart",
		"x=-1e308..2e8": "",
	} {
		_, _, err := Parse([]string{assignment})
		if want == "" {
			if err != nil {
				t.Error(err)
			}
			continue
		}
		if err == nil || !strings.HasPrefix(err.Error(), assignment+": ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", assignment, err, want)
		}
	}
	for _, twice := range [][]string{{"x=1..2", "x=3"}, {"x=3", "x=1,2"}, {"x=1,2", "x=3,4"}} {
		if _, _, err := Parse(twice); err == nil || !strings.Contains(err.Error(), "x is set twice") {
			t.Errorf("%v: %v", twice, err)
		}
	}
}

func TestSize(t *testing.T) {
	for text, want := range map[string]int{"x=1,2,3": 3, "x=1..4": 4, "x=1..4 y=a,b": 8, "x=0.1..0.2": 0, "x=1..4 y=0.5..1": 0, "x=1..2000000000 y=1..2000000000": 0} {
		if space, _ := parse(t, strings.Fields(text)...); space.Size() != want {
			t.Errorf("%s: %d, want %d", text, space.Size(), want)
		}
	}
}

func TestExtremes(t *testing.T) {
	space, _ := parse(t, "a=1e-4..0.1", "b=8..128", "c=x,y,z")
	for i, want := range [][]string{{"0.0001", "0.1"}, {"8", "128"}, {"x", "y", "z"}} {
		if got := space[i].Extremes(); !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	}
}

// values returns numbers that are drawn for a key.
func values(t *testing.T, text string, n int) []float64 {
	t.Helper()
	space, _ := parse(t, text)
	var all []float64
	for i := range n { // drawn without regard to earlier ones
		x, err := strconv.ParseFloat(space[0].draw(3, i, 0), 64)
		if err != nil {
			t.Fatal(err)
		}
		if d := space[0]; d.Values == nil && (x < d.Low || x > d.High || d.Whole && x != math.Trunc(x)) {
			t.Errorf("%s: %v", text, x)
		}
		all = append(all, x)
	}
	return all
}

// The distribution function of uniform numbers, by Kolmogorov's and Smirnov's test: of n numbers the largest difference
// exceeds 1.95/sqrt(n) with a probability of 0.001.
func TestDistribution(t *testing.T) {
	const n = 4000
	for text, cdf := range map[string]func(x float64) float64{
		"x=0.8..0.99":        func(x float64) float64 { return (x - 0.8) / 0.19 },
		"x=1e-4..1e-1":       func(x float64) float64 { return math.Log(x/1e-4) / math.Log(1e3) },
		"x=log:0.2..0.4":     func(x float64) float64 { return math.Log(x/0.2) / math.Log(2) },
		"x=linear:0.001..10": func(x float64) float64 { return (x - 0.001) / 9.999 },
		"x=-1.5..1.5":        func(x float64) float64 { return (x + 1.5) / 3 },
	} {
		all := values(t, text, n)
		slices.Sort(all)
		worst := 0.0
		for i, x := range all {
			worst = max(worst, math.Abs(cdf(x)-(float64(i)+0.5)/n))
		}
		if worst > 1.95/math.Sqrt(n)+1e-3 { // the numbers are rounded to a thousandth of themselves
			t.Errorf("%s: the distribution is off by %.4f", text, worst)
		}
	}
}

// Whole numbers and values of lists are equally frequent: chi squared of 3 degrees of freedom exceeds 16.3 with a
// probability of 0.001.
func TestFrequencies(t *testing.T) {
	const n = 4000
	for _, text := range []string{"x=2..5", "x=10,20,30,40"} {
		count := map[float64]float64{}
		for _, x := range values(t, text, n) {
			count[x]++
		}
		chi := 0.0
		for _, c := range count {
			chi += (c - n/4) * (c - n/4) / (n / 4)
		}
		if len(count) != 4 || chi > 16.3 {
			t.Errorf("%s: %v", text, count)
		}
	}
	// The logarithm of whole numbers: from 1 to 1023, each doubling is equally frequent.
	octaves := map[int]float64{}
	for _, x := range values(t, "x=1..1023", n) {
		octaves[int(math.Log2(x))]++
	}
	for o := range 10 {
		if c := octaves[o]; math.Abs(c-n/10) > 4*math.Sqrt(n/10) {
			t.Errorf("2^%d: %v of %d", o, c, n)
		}
	}
}

func TestTrialsAreAFunctionOfSeedAndNumber(t *testing.T) {
	space, _ := parse(t, "optimizer.lr=1e-4..1e-1", "batch=64,128,256", "network.0.out=8..64")
	long, short, other := space.Trials(7, 30), space.Trials(7, 5), space.Trials(8, 5)
	same := 0
	for i := range short {
		if !slices.Equal(short[i], long[i]) {
			t.Errorf("trial %d: %v and %v", i, short[i], long[i])
		}
		if slices.Equal(short[i], other[i]) {
			same++
		}
	}
	if same > 0 {
		t.Error("another seed gives the same trials")
	}
	if got := Assignments(long[0]); len(got) != 3 || !strings.HasPrefix(got[0], "optimizer.lr=0.0") || !strings.HasPrefix(got[1], "batch=") {
		t.Errorf("assignments %v", got)
	}
	// Another key beside it changes no value.
	alone, _ := parse(t, "network.0.out=8..64", "optimizer.lr=1e-4..1e-1")
	for i, trial := range alone.Trials(7, 5) {
		if trial[0] != long[i][2] || trial[1] != long[i][0] {
			t.Errorf("trial %d: %v and %v", i, trial, long[i])
		}
	}
}

func TestTrialsDiffer(t *testing.T) {
	space, _ := parse(t, "batch=64,128,256", "x=1..3")
	trials := space.Trials(0, 100)
	seen := map[string]bool{}
	for _, trial := range trials {
		seen[strings.Join(Assignments(trial), " ")] = true
	}
	if len(trials) != 9 || len(seen) != 9 {
		t.Errorf("%d trials, %d different ones, want all 9", len(trials), len(seen))
	}
}

func TestNumbersAreShort(t *testing.T) {
	for _, x := range []float64{0.00123456789, 0.87654321, 123.456789, 98765.4321, 1e-9 * math.Pi, 0} {
		got := round(x, 1e9)
		if text := strconv.FormatFloat(got, 'g', -1, 64); len(strings.Trim(strings.SplitN(strings.Replace(text, ".", "", 1), "e", 2)[0], "0")) > 5 || math.Abs(got-x) > 1e-3*math.Abs(x) {
			t.Errorf("%v becomes %s", x, text)
		}
	}
	if got := round(0.99912345, 0.0005); got != 0.9991235 && got != 0.9991234 {
		t.Errorf("in a narrow range: %v", got)
	}
}
