package nethttpadapter_test

import "net/http"

// writers are all combinations of the optional methods: Flush, Hijack, ReadFrom, Push, CloseNotify.
func writers(calls *[]string) []http.ResponseWriter {
	b, f, h, r, p, n := basic{calls}, flusher{calls}, hijacker{calls}, readerFrom{calls}, pusher{calls}, closeNotify{calls}
	type (
		F = flusher
		H = hijacker
		R = readerFrom
		P = pusher
		N = closeNotify
	)
	return []http.ResponseWriter{
		struct {
			basic
		}{b},
		struct {
			basic
			F
		}{b, f},
		struct {
			basic
			H
		}{b, h},
		struct {
			basic
			F
			H
		}{b, f, h},
		struct {
			basic
			R
		}{b, r},
		struct {
			basic
			F
			R
		}{b, f, r},
		struct {
			basic
			H
			R
		}{b, h, r},
		struct {
			basic
			F
			H
			R
		}{b, f, h, r},
		struct {
			basic
			P
		}{b, p},
		struct {
			basic
			F
			P
		}{b, f, p},
		struct {
			basic
			H
			P
		}{b, h, p},
		struct {
			basic
			F
			H
			P
		}{b, f, h, p},
		struct {
			basic
			R
			P
		}{b, r, p},
		struct {
			basic
			F
			R
			P
		}{b, f, r, p},
		struct {
			basic
			H
			R
			P
		}{b, h, r, p},
		struct {
			basic
			F
			H
			R
			P
		}{b, f, h, r, p},
		struct {
			basic
			N
		}{b, n},
		struct {
			basic
			F
			N
		}{b, f, n},
		struct {
			basic
			H
			N
		}{b, h, n},
		struct {
			basic
			F
			H
			N
		}{b, f, h, n},
		struct {
			basic
			R
			N
		}{b, r, n},
		struct {
			basic
			F
			R
			N
		}{b, f, r, n},
		struct {
			basic
			H
			R
			N
		}{b, h, r, n},
		struct {
			basic
			F
			H
			R
			N
		}{b, f, h, r, n},
		struct {
			basic
			P
			N
		}{b, p, n},
		struct {
			basic
			F
			P
			N
		}{b, f, p, n},
		struct {
			basic
			H
			P
			N
		}{b, h, p, n},
		struct {
			basic
			F
			H
			P
			N
		}{b, f, h, p, n},
		struct {
			basic
			R
			P
			N
		}{b, r, p, n},
		struct {
			basic
			F
			R
			P
			N
		}{b, f, r, p, n},
		struct {
			basic
			H
			R
			P
			N
		}{b, h, r, p, n},
		struct {
			basic
			F
			H
			R
			P
			N
		}{b, f, h, r, p, n},
	}
}
