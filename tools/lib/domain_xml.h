/* SPDX-License-Identifier: GPL-2.0 */
/* What Ballast reads from a libvirt domain's XML, and changes in it. */
#ifndef BALLAST_TOOLS_DOMAIN_XML_H
#define BALLAST_TOOLS_DOMAIN_XML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "settings.h"

/* <ballast:memory shares= min= max= tax=/> in <metadata> */
#define BALLAST_XMLNS		"https://ballast.dev/xmlns/vm/1"
/* <adopted:original>: the <memoryBacking> that release puts back */
#define BALLAST_XMLNS_ADOPTED	"https://ballast.dev/xmlns/adopted/1"

int ballast_xml_metadata(const char *xml, struct ballast_settings *settings,
			 char *why, size_t room);
char *ballast_xml_memory_element(const struct ballast_settings *settings);
int ballast_xml_adopt(const char *xml, char **adopted, char *why, size_t room);
int ballast_xml_release(const char *xml, char **released, char *why, size_t room);
bool ballast_xml_has_balloon(const char *xml);
unsigned int ballast_xml_stats_period(const char *xml);
bool ballast_xml_is_adopted(const char *xml);
char *ballast_xml_normal(const char *xml);
char *ballast_xml_difference(const char *before, const char *after);

/* domain_memory.c */
int ballast_xml_file_memory(const char *xml, uint64_t *bytes);

#endif /* BALLAST_TOOLS_DOMAIN_XML_H */
