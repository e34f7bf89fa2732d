/* SPDX-License-Identifier: GPL-2.0 */
/* libxml2 as the files about libvirt's XML use it. */
#ifndef BALLAST_TOOLS_XML_H
#define BALLAST_TOOLS_XML_H

#include <stdbool.h>

#include <libxml/parser.h>
#include <libxml/tree.h>

xmlDoc *xml_parse(const char *xml);
bool xml_is_element(const xmlNode *node, const char *name, const char *namespace);
xmlNode *xml_child(xmlNode *parent, const char *name, const char *namespace);
xmlNode *xml_domain_of(xmlDoc *doc);

#endif /* BALLAST_TOOLS_XML_H */
