package web_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/web"
)

// manifest is what the build says of itself in dist/manifest.json.
type manifest struct {
	Packages []string          `json:"packages"` // name@version, of all that is bundled
	Sources  map[string]string `json:"sources"`  // path below web/graphiql: SHA-256 in hex
}

func TestIndexReferencesOnlyEmbeddedFiles(t *testing.T) {
	t.Parallel()
	index := read(t, "index.html")
	reference := regexp.MustCompile(`(?:src|href)="([^"]+)"`)

	var extensions []string
	for _, match := range reference.FindAllStringSubmatch(index, -1) {
		name := match[1]
		if !fs.ValidPath(name) {
			t.Errorf("index.html names %q: want a path relative to the page", name)
			continue
		}
		assertEmbedded(t, "index.html", name)
		extensions = append(extensions, path.Ext(name))
	}
	for _, want := range []string{".js", ".css", ".svg"} {
		if !slices.Contains(extensions, want) {
			t.Errorf("index.html names no %s file, only %v", want, extensions)
		}
	}
}

func TestAssetsReferenceOnlyEmbeddedFiles(t *testing.T) {
	t.Parallel()
	hashed := regexp.MustCompile(`["'(]\./([\w.-]+-[0-9A-Z]{8}\.\w+)["')]`)

	var found int
	for name, content := range assets(t) {
		for _, match := range hashed.FindAllStringSubmatch(content, -1) {
			assertEmbedded(t, name, path.Join("assets", match[1]))
			found++
		}
	}
	if found < 4 {
		t.Errorf("found %d references between assets, want at least the workers' and the font's", found)
	}
}

// elsewhere matches what makes a browser load a script, a style or a font from
// another origin. A URL that is only shown, or only names something, is no load.
var elsewhere = regexp.MustCompile(`(?i)` + strings.Join([]string{
	`(?:src|href)=["']?(?:https?:)?//`,
	`url\(\s*["']?(?:https?:)?//`,
	`@import\s*["'](?:https?:)?//`,
	`(?:import|from)\s*\(?\s*["'](?:https?:)?//`,
	`(?:importScripts|fetch|Worker|WebSocket|EventSource)\(\s*["'](?:https?|wss?)://`,
	`//(?:unpkg\.com|esm\.sh|cdn\.|cdnjs\.|[\w.-]*jsdelivr\.net|fonts\.(?:googleapis|gstatic)\.com)`,
}, "|"))

// loadElsewhere returns the first such load in a text, or "". It looks around
// each double slash only, as the expression is slow on megabytes.
func loadElsewhere(text string) string {
	const before, after = 40, 60 // bytes around the slashes that the expression may need
	for at := 0; ; at += 2 {
		next := strings.Index(text[at:], "//")
		if next < 0 {
			return ""
		}
		at += next
		window := text[max(0, at-before):min(len(text), at+after)]
		if match := elsewhere.FindString(window); match != "" {
			return match
		}
	}
}

func TestPageLoadsNothingExternal(t *testing.T) {
	t.Parallel()
	if match := loadElsewhere(read(t, "index.html")); match != "" {
		t.Errorf("index.html loads from elsewhere: %s", match)
	}
	for name, content := range assets(t) {
		if match := loadElsewhere(content); match != "" {
			t.Errorf("%s loads from elsewhere: %s", name, match)
		}
	}
}

func TestExternalLoadsAreDetected(t *testing.T) {
	t.Parallel()
	cases := map[string]bool{
		`<script src="https://example.org/react.js">`:      true,
		`<link href='//example.org/style.css'>`:            true,
		`a{background:url(https://example.org/a.png)}`:     true,
		`@import "https://example.org/a.css";`:             true,
		`import("https://example.org/a.js")`:               true,
		`import{a}from"https://example.org/a.js"`:          true,
		`importScripts('https://example.org/a.js')`:        true,
		`new Worker("https://example.org/a.js")`:           true,
		`const base="https://cdn.jsdelivr.net/npm/monaco"`: true,
		`const base="https://unpkg.com/react"`:             true,
		`<script src="assets/main.js">`:                    false,
		`a{background:url(./codicon.ttf)}`:                 false,
		`xmlns="http://www.w3.org/2000/svg"`:               false,
		`throw Error("see https://react.dev/errors")`:      false,
	}
	for text, want := range cases {
		if got := loadElsewhere(text) != ""; got != want {
			t.Errorf("%s: seen = %t, want %t", text, got, want)
		}
	}
}

func TestLicencesCoverEveryBundledPackage(t *testing.T) {
	t.Parallel()
	entry := regexp.MustCompile(`(?m)^-{80}\n(\S+)\nLicence: (\S.*)\n-{80}\n`)
	licences := read(t, "LICENSES.txt")
	starts := entry.FindAllStringSubmatchIndex(licences, -1)

	const shortest = 300 // bytes; no licence in use is shorter
	texts := make(map[string]string, len(starts))
	for i, at := range starts {
		end := len(licences)
		if i+1 < len(starts) {
			end = starts[i+1][0]
		}
		texts[licences[at[2]:at[3]]] = licences[at[1]:end]
	}
	packages := readManifest(t).Packages
	if len(packages) == 0 {
		t.Fatal("manifest.json names no package")
	}
	for _, name := range packages {
		if len(texts[name]) < shortest {
			t.Errorf("LICENSES.txt has no licence text for %s", name)
		}
	}
}

func TestManifestNamesEveryDirectDependency(t *testing.T) {
	t.Parallel()
	var source struct {
		Dependencies map[string]string `json:"dependencies"`
	}
	decode(t, []byte(readSource(t, "package.json")), &source)

	packages := readManifest(t).Packages
	for name, version := range source.Dependencies {
		if !slices.Contains(packages, name+"@"+version) {
			t.Errorf("package.json wants %s %s, which is not in dist", name, version)
		}
	}
}

func TestDistMatchesSources(t *testing.T) {
	t.Parallel()
	built := readManifest(t).Sources
	for name, want := range built {
		sum := sha256.Sum256([]byte(readSource(t, name)))
		if hex.EncodeToString(sum[:]) != want {
			t.Errorf("%s has changed since dist was built: run npm ci && npm run build in web/graphiql", name)
		}
	}
	sources, err := filepath.Glob("graphiql/src/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range sources {
		name := strings.TrimPrefix(filepath.ToSlash(file), "graphiql/")
		if _, ok := built[name]; !ok {
			t.Errorf("%s is newer than dist: run npm ci && npm run build in web/graphiql", name)
		}
	}
}

func TestLockfileNamesThePublicRegistryOnly(t *testing.T) {
	t.Parallel()
	resolved := regexp.MustCompile(`"resolved": "([^"]+)"`)
	for _, match := range resolved.FindAllStringSubmatch(readSource(t, "package-lock.json"), -1) {
		if !strings.HasPrefix(match[1], "https://registry.npmjs.org/") {
			t.Errorf("package-lock.json names %s", match[1])
		}
	}
}

func TestGraphiQLStaysSmall(t *testing.T) {
	t.Parallel()
	const limit = 6 << 20 // bytes of assets, uncompressed
	var size int
	for _, content := range assets(t) {
		size += len(content)
	}
	if size > limit {
		t.Errorf("GraphiQL's assets take %d bytes, want at most %d", size, limit)
	}
}

// assets returns the content of each file in assets/, by its path.
func assets(t *testing.T) map[string]string {
	t.Helper()
	names, err := fs.Glob(web.GraphiQL(), "assets/*")
	if err != nil || len(names) == 0 {
		t.Fatalf("no assets are embedded: %v", err)
	}
	contents := make(map[string]string, len(names))
	for _, name := range names {
		contents[name] = read(t, name)
	}
	return contents
}

func assertEmbedded(t *testing.T, referrer, name string) {
	t.Helper()
	if _, err := fs.Stat(web.GraphiQL(), name); err != nil {
		t.Errorf("%s names %s, which is not embedded: %v", referrer, name, err)
	}
}

func readManifest(t *testing.T) manifest {
	t.Helper()
	var m manifest
	decode(t, []byte(read(t, "manifest.json")), &m)
	return m
}

// read returns an embedded file.
func read(t *testing.T, name string) string {
	t.Helper()
	content, err := fs.ReadFile(web.GraphiQL(), name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// readSource returns a file of web/graphiql, from the tree.
func readSource(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("graphiql", filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func decode(t *testing.T, text []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatal(err)
	}
}
