caddy/certificates/acme-v02.api.letsencrypt.org-directory/www.example.test/www.example.test.key
not read
