package command

import (
	"context"

	"trainer/nn/recipe"
)

// recipeCommand prints a built-in recipe.
func recipeCommand() Command {
	return Command{Name: "recipe", Args: "NAME", Doc: "print a built-in recipe", run: runRecipe}
}

func runRecipe(_ context.Context, p *program, args []string) error {
	if len(args) != 1 {
		return usageErrorf("recipe takes one name: trainer recipe NAME%s", suggest("", recipe.Names()))
	}
	text, err := recipe.Source(args[0])
	if err != nil {
		return err
	}
	_, err = p.stdout.Write(text)
	return err
}
