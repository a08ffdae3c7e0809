// The description of the interface, drawn by Swagger UI from this server's own openapi.json.
SwaggerUIBundle({ url: "openapi.json", dom_id: "#interface", deepLinking: true, validatorUrl: null });
