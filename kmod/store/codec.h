/* SPDX-License-Identifier: GPL-2.0 */
/* Compressors: pages made smaller, and made pages again. */
#ifndef BALLAST_STORE_CODEC_H
#define BALLAST_STORE_CODEC_H

#include <linux/types.h>

/**
 * enum ballast_codec_kind - which compressor
 * @BALLAST_CODEC_LZ4: fastest, above all to decompress; the default
 * @BALLAST_CODEC_ZSTD: smallest
 * @BALLAST_CODEC_LZO: in between
 * @BALLAST_CODEC_NR: how many there are; as a kind, none
 */
enum ballast_codec_kind {
	BALLAST_CODEC_LZ4,
	BALLAST_CODEC_ZSTD,
	BALLAST_CODEC_LZO,
	BALLAST_CODEC_NR,
};

struct ballast_codec;

const char *ballast_codec_name(enum ballast_codec_kind kind);
enum ballast_codec_kind ballast_codec_kind(const struct ballast_codec *codec);
struct ballast_codec *ballast_codec_create(enum ballast_codec_kind kind);
void ballast_codec_destroy(struct ballast_codec *codec);
unsigned int ballast_codec_compress(struct ballast_codec *codec, const void *page,
				    void *to, unsigned int room);
int ballast_codec_decompress(struct ballast_codec *codec, const void *from,
			     unsigned int length, void *page);
bool ballast_page_same_filled(const void *page, unsigned long *value);

#endif /* BALLAST_STORE_CODEC_H */
