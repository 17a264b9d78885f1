package main

import (
	"trainer/nn/recipe"
	"trainer/nn/setting"
)

// kinds answers with the instruction set, and for every kind that recipes can name with its keys: a driver can then say
// which of another program's settings can't be expressed.
func kinds(c *call) error {
	k := recipe.BuiltIn()
	layers := map[string][]string{}
	for _, l := range k.Layers {
		layers[l.Name] = keysOf(l.New())
	}
	c.answer.Result = map[string]any{
		"version": version, "device": c.dev.Info().Description, "instructions": c.dev.Info().Features[0],
		"layers": layers, "losses": keys(k.Losses), "rules": keys(k.Rules), "schedules": keys(k.Schedules),
	}
	return nil
}

// keys returns the keys of each kind.
func keys[T any](kinds []setting.Kind[T]) map[string][]string {
	all := map[string][]string{}
	for _, k := range kinds {
		all[k.Name] = keysOf(k.New())
	}
	return all
}

func keysOf[T any](v T) []string {
	names := []string{}
	setting.Edit(v, nil, func(l *setting.List) {
		for _, s := range l.All() {
			names = append(names, s.Key)
		}
	})
	return names
}
