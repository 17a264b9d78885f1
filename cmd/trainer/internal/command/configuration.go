package command

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// configuration is a run's config.toml as a list of keys and values: "optimizer.lr" is "0.1", "network.2.out" is "32". A
// setting that has its default is not in it.
type configuration map[string]string

// notCompared are keys that say what a run is called, where it was made, or what has a column of its own.
var notCompared = []string{"name", "description", "data", "run.data", "run.data-dir", "run.seed", "run.runs", "run.planned-epochs", "run.version", "run.features"}

// flatten reads a configuration.
func flatten(text []byte) (configuration, error) {
	var tables map[string]any
	if err := toml.Unmarshal(text, &tables); err != nil {
		return nil, err
	}
	c := configuration{}
	c.add("", tables)
	for _, key := range notCompared {
		delete(c, key)
	}
	return c, nil
}

// add adds a value, and what is in it.
func (c configuration) add(key string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			c.add(strings.TrimPrefix(key+"."+name, "."), value)
		}
		return
	case []any:
		if len(v) > 0 && isTables(v) {
			for i, value := range v {
				c.add(key+"."+strconv.Itoa(i), value)
			}
			return
		}
	case string:
		c[key] = v
		return
	}
	text, err := json.Marshal(v)
	if err != nil { // NaN and infinities
		text = fmt.Append(nil, v)
	}
	c[key] = string(text)
}

// isTables reports whether all values are tables, or lists of them.
func isTables(list []any) bool {
	return !slices.ContainsFunc(list, func(v any) bool {
		if inner, ok := v.([]any); ok {
			return !isTables(inner)
		}
		_, ok := v.(map[string]any)
		return !ok
	})
}

// value returns the value of a key as text.
func (c configuration) value(key string) string {
	if v, ok := c[key]; ok {
		return v
	}
	return "(default)"
}

// differing returns the keys whose values are not the same in all configurations, sorted.
func differing(configs []configuration) []string {
	differ := map[string]bool{}
	for _, c := range configs {
		for key, value := range c {
			differ[key] = differ[key] || slices.ContainsFunc(configs, func(other configuration) bool { return other.value(key) != value })
		}
	}
	maps.DeleteFunc(differ, func(_ string, differs bool) bool { return !differs })
	return slices.Sorted(maps.Keys(differ))
}
