package command

import (
	"context"
	"encoding/json"
	"flag"

	"github.com/pelletier/go-toml/v2"

	"trainer/nn/recipe"
)

// recipeCommand prints a built-in recipe.
func recipeCommand() Command {
	return Command{Name: "recipe", Args: "NAME", Doc: "print a built-in recipe", run: runRecipe}
}

var recipeUsage = usage{
	about: "trainer recipe prints a built-in recipe, to be changed and passed to -recipe.",
	lines: []string{"trainer recipe [flags] NAME"},
	notes: "trainer -list names the recipes.\n\nExample:\n  trainer recipe mnist > my.toml",
}

func runRecipe(_ context.Context, p *program, args []string) error {
	f := flag.NewFlagSet("recipe", flag.ContinueOnError)
	asJSON := f.Bool("json", false, "print the recipe as one JSON object instead of TOML")
	rest, done, err := p.parseAnywhere(f, recipeUsage, args)
	if done || err != nil {
		return err
	}
	if len(rest) != 1 {
		return usageErrorf("recipe takes one name: trainer recipe NAME%s", suggest("", recipe.Names()))
	}
	text, err := recipe.Source(rest[0])
	if err != nil {
		return err
	}
	if *asJSON {
		var tables map[string]any
		if err := toml.Unmarshal(text, &tables); err != nil {
			return err
		}
		return json.NewEncoder(p.stdout).Encode(tables)
	}
	_, err = p.stdout.Write(text)
	return err
}
