package train

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestPositionListsAreBounded(t *testing.T) {
	for text, ok := range map[string]bool{
		`{"history":null,"settings":null}`:                                             true,
		`{"history":[],"settings":[{"name":"a","value":""},{"name":"b","value":"1"}]}`: true,
		`{"history":{}}`:         false,
		`{"history":[{},{},{}]}`: false,
		`{"settings":[` + strings.Repeat("{},", 100) + `{}]}`:                                                                            false,
		`{"history":[{"epoch":1,"step":5,"train_loss":1.5,"train_accuracy":0.5,"lr":0.1}]}`:                                              true,
		`{"history":[{"epoch":1,"step":5,"train_loss":1.5,"train_accuracy":0.5,"lr":0.1},{"epoch":"x` + strings.Repeat(" ", 60) + `"}]}`: false,
	} {
		var p position
		if err := json.Unmarshal([]byte(text), &p); (err == nil) != ok {
			t.Errorf("%.80s: %v", text, err)
		}
	}
	var p position
	whole := position{Step: 3, History: []EpochMetrics{{Epoch: 1}, {Epoch: 2}}, Settings: []condition{{"a", "b"}}}
	text, err := json.Marshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &p); err != nil || len(p.History) != 2 || p.History[1].Epoch != 2 || p.Settings[0] != (condition{"a", "b"}) {
		t.Errorf("%+v, %v", p, err)
	}
}

func FuzzPosition(f *testing.F) {
	f.Add([]byte(`{"step":5,"epoch_so_far":{"loss":1,"correct":2,"count":8,"images":8,"seconds":1},"train_seconds":1,"history":null}`))
	f.Add([]byte(`{"history":[{},{},{}],"settings":[{"name":"seed","value":"0"}]}`))
	f.Add([]byte(`{"step":3,"train_seconds":-1e308,"train_images":9223372036854775807}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var p position
		if json.Unmarshal(text, &p) != nil {
			return
		}
		if 64*len(p.History) > len(text) || 22*len(p.Settings) > len(text) {
			t.Fatalf("%d epochs and %d settings from %d bytes", len(p.History), len(p.Settings), len(text))
		}
		_ = (&MismatchError{"f", differences([]condition{{"seed", "1"}}, p.Settings)}).Error()
	})
}
