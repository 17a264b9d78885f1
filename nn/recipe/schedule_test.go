package recipe

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"trainer/nn/optim"
)

// TestSchedules reads schedules with all their keys: in a sequence, with a warm-up, and of a group.
func TestSchedules(t *testing.T) {
	for table, want := range map[string]optim.Schedule{
		`kind = "polynomial"`: optim.Polynomial{Power: 1},
		`kind = "cosine-restarts", first = 2, growth = 1.5, final = 0.1`:                             optim.CosineRestarts{First: 2, Growth: 1.5, Final: 0.1},
		`kind = "plateau", patience = 0`:                                                             optim.Plateau{Gamma: 0.1, Threshold: 1e-4},
		`kind = "plateau", patience = 3, gamma = 0.5, metric = "accuracy", cooldown = 2, min = 0.01`: optim.Plateau{Gamma: 0.5, Patience: 3, Threshold: 1e-4, Cooldown: 2, Min: 0.01, Metric: optim.ValidationAccuracy},
		`kind = "one-cycle", base-momentum = 0.85, max-momentum = 0.95`:                              optim.OneCycle{Start: 0.3, Div: 25, FinalDiv: 1e4, BaseMomentum: 0.85, MaxMomentum: 0.95},
		`kind = "sequential", milestones = [2.5], schedules = [{ kind = "constant", warm-up-steps = 9 }, { kind = "cosine" }], warm-up = 0.5`: optim.WarmUp{
			Fraction: 0.5,
			Then:     optim.Sequential{Schedules: []optim.Schedule{optim.WarmUp{Steps: 9, Then: optim.Constant{}}, optim.Cosine{}}, Milestones: []float64{2.5}},
		},
	} {
		r, err := LoadWith("mnist-basic", []string{"schedule={ " + table + " }", `optimizer.group=[{ match = "dense*", schedule = { ` + table + ` } }]`})
		if err != nil {
			t.Errorf("%s: %v", table, err)
			continue
		}
		if diff := cmp.Diff(want, r.Schedule); diff != "" {
			t.Errorf("%s (-want +got):\n%s", table, diff)
		}
		if diff := cmp.Diff(want, r.Optimizer.Groups[0].Schedule); diff != "" {
			t.Errorf("%s in a group (-want +got):\n%s", table, diff)
		}
		text, err := r.TOML()
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse("again.toml", text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if diff := cmp.Diff(r.Schedule, again.Schedule); diff != "" {
			t.Errorf("%s read again (-want +got):\n%s", table, diff)
		}
	}
}

func TestScheduleMistakes(t *testing.T) {
	for table, want := range map[string]string{
		`kind = "plateau"`: "-set schedule: patience is missing",
		`kind = "sequential", schedules = [{ kind = "constant" }, { kind = "step" }], milestones = [1]`:  "-set schedule.schedules.1: gamma is missing",
		`kind = "sequential", schedules = [{ kind = "constant" }, { kind = "cosin" }], milestones = [1]`: "did you mean cosine?",
		`kind = "sequential", schedules = [{ kind = "constant" }], milestones = [1]`:                     "schedule.milestones: has 1 epochs for 1 schedules, want 0",
		`kind = "sequential", schedules = []`:                                                            "schedule.schedules: is empty",
		`kind = "sequential", schedules = 3`:                                                             "want tables [[schedule.schedules]], got 3",
		`kind = "one-cycle", base-momentum = 0.85`:                                                       "-set schedule: want both of base-momentum and max-momentum",
	} {
		_, err := LoadWith("mnist-basic", []string{"schedule={ " + table + " }"})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Count(err.Error(), "\n") > 0 {
			t.Errorf("%s:\ngot  %v\nwant %s", table, err, want)
		}
	}
}
