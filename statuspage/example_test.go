package statuspage_test

import (
	"crypto/subtle"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/statuspage"
)

// The page behind a password. A service that has sessions looks at the session in Auth and needs no Challenge.
func ExampleHandler() {
	var tracker *fprom.Tracker // made by fprom.New
	page, err := statuspage.Handler(tracker, statuspage.Options{
		Auth: func(r *http.Request) bool {
			_, password, ok := r.BasicAuth()
			want := os.Getenv("ADMIN_PASSWORD")
			return ok && want != "" && subtle.ConstantTimeCompare([]byte(password), []byte(want)) == 1
		},
		Challenge: `Basic realm="fprom"`,
		Writable:  true,
	})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/fprom/", page)

	for _, path := range []string{"/fprom/", "/fprom/healthz"} {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		fmt.Println(path, w.Code)
	}
	// Output:
	// /fprom/ 401
	// /fprom/healthz 200
}
