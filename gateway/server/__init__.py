"""One gateway worker put together: settings to parts, parts to application, application to a socket."""
