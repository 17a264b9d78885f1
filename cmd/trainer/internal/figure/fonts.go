package figure

import (
	"bytes"
	"cmp"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"codeberg.org/go-fonts/liberation/liberationsansregular"
	"github.com/go-text/typesetting/font"

	"trainer/nn/bounded"
)

// typefaces are the fonts of text: Liberation Sans, which is part of the program, and for characters that it lacks the
// fonts of the system. A font file is opened when a character is looked for, and stays open if it has one.
type typefaces struct {
	folders []string

	mu    sync.Mutex
	faces []*font.Face         // Liberation Sans, and the fonts that were needed
	files []string             // in folders; nil before the first search
	found map[rune]*font.Face  // nil: no font has the character
	cmaps map[string]font.Cmap // of the fonts that were opened; nil: it can't be read
}

func newTypefaces(folders []string) *typefaces {
	own, err := font.ParseTTF(bytes.NewReader(liberationsansregular.TTF))
	if err != nil {
		panic("figure: " + err.Error()) // it is part of the program
	}
	return &typefaces{folders: folders, faces: []*font.Face{own}, found: map[rune]*font.Face{}, cmaps: map[string]font.Cmap{}}
}

// systemTypefaces are those with the fonts of this system. Which characters they have is the same whenever it is asked, so
// that a search serves all figures.
var systemTypefaces = sync.OnceValue(func() *typefaces { return newTypefaces(fontFolders(runtime.GOOS, os.Getenv)) })

// fontFolders returns the usual folders of fonts of an operating system: on Linux those of the XDG Base Directory
// Specification.
func fontFolders(system string, getenv func(string) string) []string {
	home := cmp.Or(getenv("HOME"), getenv("USERPROFILE"))
	switch system {
	case "windows":
		return []string{filepath.Join(cmp.Or(getenv("WINDIR"), `C:\Windows`), "Fonts"), filepath.Join(getenv("LOCALAPPDATA"), "Microsoft", "Windows", "Fonts")}
	case "darwin":
		return []string{"/System/Library/Fonts", "/Library/Fonts", filepath.Join(home, "Library", "Fonts")}
	}
	folders := []string{filepath.Join(home, ".fonts"), filepath.Join(cmp.Or(getenv("XDG_DATA_HOME"), filepath.Join(home, ".local", "share")), "fonts")}
	for _, dir := range filepath.SplitList(cmp.Or(getenv("XDG_DATA_DIRS"), "/usr/local/share:/usr/share")) {
		folders = append(folders, filepath.Join(dir, "fonts"))
	}
	return folders
}

// The bounds of a search: a folder may be a link to anything.
const (
	maxFontFiles = 20_000
	maxFontBytes = 256 << 20
)

// fontFiles returns the font files below the folders, the plainest ones first: a class's name in a font with serifs or in
// italics would be legible, but odd.
func fontFiles(folders []string) []string {
	var files []string
	for _, folder := range folders {
		_ = filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
			ending := strings.ToLower(filepath.Ext(path))
			if err == nil && !e.IsDir() && slices.Contains([]string{".ttf", ".otf", ".ttc", ".otc"}, ending) {
				files = append(files, path)
			}
			if len(files) == maxFontFiles {
				return fs.SkipAll
			}
			return nil // a folder that can't be read has no fonts
		})
	}
	slices.SortStableFunc(files, func(a, b string) int { return cmp.Compare(plainness(a), plainness(b)) })
	return files
}

// plainness is 0 for a font whose file name says nothing special.
func plainness(path string) int {
	name := strings.ToLower(filepath.Base(path))
	special := 0
	for _, word := range []string{"bold", "italic", "oblique", "mono", "serif", "light", "thin", "black", "condensed", "medium"} {
		if strings.Contains(strings.ReplaceAll(name, "sansserif", ""), word) {
			special++
		}
	}
	return special
}

// resolve returns the first font that has outlines for a character, or nil.
func (t *typefaces) resolve(r rune) *font.Face {
	t.mu.Lock()
	defer t.mu.Unlock()
	if face, isKnown := t.found[r]; isKnown {
		return face
	}
	face := t.search(r)
	t.found[r] = face
	return face
}

func (t *typefaces) search(r rune) *font.Face {
	for _, face := range t.faces {
		if hasOutline(face, r) {
			return face
		}
	}
	if t.files == nil {
		t.files = append([]string{}, fontFiles(t.folders)...)
	}
	for _, file := range t.files {
		cmap, isKnown := t.cmaps[file]
		if isKnown && !hasGlyph(cmap, r) {
			continue
		}
		face := openFont(file)
		t.cmaps[file] = nil
		if face == nil {
			continue
		}
		t.cmaps[file] = face.Cmap
		if hasOutline(face, r) {
			t.faces = append(t.faces, face)
			return face
		}
	}
	return nil
}

// hasGlyph reports whether a font's table has a character.
func hasGlyph(cmap font.Cmap, r rune) bool {
	if cmap == nil {
		return false
	}
	glyph, ok := cmap.Lookup(r)
	return ok && glyph != 0
}

// hasOutline reports whether a font can draw a character as a shape: emoji are often small pictures instead.
func hasOutline(face *font.Face, r rune) bool {
	if !hasGlyph(face.Cmap, r) {
		return false
	}
	glyph, _ := face.NominalGlyph(r)
	outline, ok := face.GlyphData(glyph).(font.GlyphOutline)
	return ok && (len(outline.Segments) > 0 || r == ' ' || r == '\u00a0')
}

// openFont returns the first font of a file, or nil if it can't be read.
func openFont(path string) (face *font.Face) {
	defer func() {
		if recover() != nil { // a damaged file is a file that can't be read
			face = nil
		}
	}()
	file, err := bounded.Open(path)
	if err != nil {
		return nil
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxFontBytes+1))
	if err != nil || len(content) > maxFontBytes {
		return nil
	}
	faces, err := font.ParseTTC(bytes.NewReader(content)) // a file of one font too
	if err != nil || len(faces) == 0 {
		return nil
	}
	return faces[0]
}

// Legible reports whether the fonts for figures, Liberation Sans (which has Latin, Greek, Cyrillic and Hebrew) and those of
// the system, have every character of a text. An SVG figure needs no such font: its viewer chooses one.
func Legible(text string) bool { return systemTypefaces().areLegible(text) }

func (t *typefaces) areLegible(text string) bool {
	for _, r := range text {
		if t.resolve(r) == nil && !isInvisible(r) {
			return false
		}
	}
	return true
}

// isInvisible reports whether a character has no shape of its own: variation selectors and joiners.
func isInvisible(r rune) bool {
	return r >= 0xfe00 && r <= 0xfe0f || r >= 0x200b && r <= 0x200f || r == 0x2060
}
